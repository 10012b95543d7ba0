"""The camera's program, and what court, dock and technician share with it."""

VERSION = "0.1.0"
