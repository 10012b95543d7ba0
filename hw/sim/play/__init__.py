"""`make dock` and `make camera`: the two sides of the house in two terminals, for people to play with."""
