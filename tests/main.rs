//! The one integration binary: everything that is seen from outside the library.

mod architecture;
mod config;
mod peers;
mod probe;
mod serve;
mod zone;
