//! coterie: customer segmentation on a data lake.
