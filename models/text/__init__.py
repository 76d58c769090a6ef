"""Text models: sentences to vectors, for matching words with styles by meaning. Nothing is loaded until it is used."""
