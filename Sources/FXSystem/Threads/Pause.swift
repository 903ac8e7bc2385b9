internal import CLinux
internal import Glibc

/// Stops the calling thread for a moment; for what the kernel finishes by itself and tells nobody about.
public func pause(milliseconds: Int) {
    var span = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
    // A signal ends it early, which does no harm: the caller looks again.
    unsafe _ = nanosleep(&span, nil)
}
