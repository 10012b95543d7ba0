"""`make soak`: hours of a camera's life in the memory of its board: nothing grows, no picture is unaccounted for."""
