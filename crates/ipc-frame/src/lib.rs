//! Length-prefixed messages with a cap over any Read and Write: a cut frame is an error, never data.
