"""The command line: preparing, training, stopping and going on."""
