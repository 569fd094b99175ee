"""How fast it is, against limits of the same run: `make bench` (see README.md). Nothing of the product is here."""
