//! The functions of Sprig and of Helm, by theme.
