"""`make demo`: a shift on a simulated board, from the press to what a court checks, by the commands of the house."""
