"""The page: what the warehouse knows of its runs, for people with a browser (extra ``page``)."""
