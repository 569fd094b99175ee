"""A broker that nobody has: in memory, with words, names, tokens and hours of its own, to prove what a broker needs."""
