"""gandoctor: reads what a GAN run left behind, says what went wrong, when and why, and what to change."""

__version__ = "0.1.0"
