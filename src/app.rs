//! The composition root: opens store, sources and sinks, starts and stops them in order.
