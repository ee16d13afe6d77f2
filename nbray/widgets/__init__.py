"""What you look at: live cards of long runs. Trees of elements and pictures are pure; one file owns the widget, one BokehJS."""
