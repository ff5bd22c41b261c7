//! Claims, attempts, outcomes: the worker of each sink and the pure decisions behind it.
