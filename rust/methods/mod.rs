//! The methods: one file or folder each.

pub mod bins;
pub mod bruker;
pub mod cmeans;
pub mod correlation;
pub(crate) mod fft;
pub mod kmeans;
pub mod low_rank;
pub mod moments;
pub mod nmf;
pub mod pca;
pub mod products;
pub mod quantiles;
pub mod residuals;
pub mod slic;
pub mod spanning_tree;
pub mod spectra;
pub mod symmetry;
pub mod volume;
