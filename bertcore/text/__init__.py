"""Raw text to ids: no model in here, and no torch until a batch is asked for."""
