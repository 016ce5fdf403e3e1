"""Events: what they say (`catalogue`) and how they travel (`envelope`)."""
