"""Where limits, parallel slots and credit are counted: one protocol, and memory, Redis or SQL behind it."""
