"""Opens what a run refers to: pictures, weights, histograms. Nothing here runs until a detector asks."""
