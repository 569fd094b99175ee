"""How the system shows that it is well: health, metrics, gauges and logs."""
