"""`manage.py up`: every process of a running OMS on one machine, started, watched and stopped."""
