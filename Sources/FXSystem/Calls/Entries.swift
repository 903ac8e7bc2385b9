internal import CLinux
internal import Glibc
public import SystemPackage

/// What `renameat2(2)` does when the new name exists.
public enum RenameMode: Sendable, Hashable {
    case replace, noReplace, exchange

    var flags: UInt32 {
        switch self {
        case .replace: 0
        case .noReplace: UInt32(FX_RENAME_NOREPLACE)
        case .exchange: UInt32(FX_RENAME_EXCHANGE)
        }
    }
}

extension OwnedDescriptor {
    public borrowing func makeDirectory(_ name: Name, mode: UInt32) throws(Errno) {
        let number = rawValue
        _ = try retryingOnInterrupt { unsafe name.withCString { unsafe mkdirat(number, $0, mode) } }
    }

    /// Makes a FIFO, socket, device or empty file (`mknod(2)`).
    public borrowing func makeNode(_ name: Name, mode: UInt32, device: UInt64) throws(Errno) {
        let number = rawValue
        _ = try retryingOnInterrupt { unsafe name.withCString { unsafe mknodat(number, $0, mode, dev_t(device)) } }
    }

    public borrowing func makeSymbolicLink(_ name: Name, target: [UInt8]) throws(Errno) {
        let number = rawValue
        let terminated = target + [0]
        _ = try retryingOnInterrupt {
            unsafe name.withCString { cName in
                unsafe terminated.withUnsafeBytes {
                    unsafe symlinkat($0.bindMemory(to: CChar.self).baseAddress.unsafelyUnwrapped, number, cName)
                }
            }
        }
    }

    /// Gives `name` in this directory a second name; never replaces (`linkat(2)`).
    public borrowing func link(
        _ name: Name, to newName: Name, in directory: borrowing OwnedDescriptor
    ) throws(Errno) {
        let from = rawValue
        let to = directory.rawValue
        _ = try retryingOnInterrupt {
            unsafe name.withCString { old in unsafe newName.withCString { new in unsafe linkat(from, old, to, new, 0) }
            }
        }
    }

    /// Gives the open file, which may have no name at all, a name; never replaces.
    ///
    /// By `/proc/self/fd`, as open(2) describes for O_TMPFILE: AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH.
    public borrowing func linkOpenFile(as name: Name, in directory: borrowing OwnedDescriptor) throws(Errno) {
        let path = procPath
        let to = directory.rawValue
        _ = try retryingOnInterrupt {
            unsafe path.withCString { old in
                unsafe name.withCString { new in
                    unsafe linkat(Int32(FX_AT_FDCWD), old, to, new, Int32(AT_SYMLINK_FOLLOW))
                }
            }
        }
    }

    public borrowing func rename(
        _ name: Name, to newName: Name, in directory: borrowing OwnedDescriptor, _ mode: RenameMode = .replace
    ) throws(Errno) {
        let from = rawValue
        let to = directory.rawValue
        let flags = mode.flags
        _ = try retryingOnInterrupt {
            unsafe name.withCString { old in
                unsafe newName.withCString { new in unsafe fx_renameat2(from, old, to, new, flags) }
            }
        }
    }
}
