"""The measurements: `./dev bench`.  Nothing here is a timed test; a target that is missed is printed as missed."""
