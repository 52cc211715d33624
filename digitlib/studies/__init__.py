"""The long studies behind the notebooks, and what trains, feeds and scores the reader."""
