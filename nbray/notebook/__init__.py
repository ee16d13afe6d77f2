"""The notebook side: magics, cells, output and the live card."""
