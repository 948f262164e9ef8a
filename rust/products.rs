//! `X Q` and `Xᵀ Y` for thin Q and Y, straight from the detector's type: see the next commit.
