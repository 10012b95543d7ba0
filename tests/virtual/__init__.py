"""`make virtual`: the board's camera without a board, by picamera2 over libcamera's virtual pipeline in a Debian 13."""
