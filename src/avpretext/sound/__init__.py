"""What is measured of the sound: openSMILE descriptors, spectrograms, vectors of a clip."""
