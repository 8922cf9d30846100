"""The head atlas: every head over a bank, with the figures that its class is told from."""
