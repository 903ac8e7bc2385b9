internal import CLinux
internal import Glibc
public import SystemPackage

/// A time to set: a moment, the present, or as it is (`utimensat(2)`).
public enum TimeChange: Sendable, Hashable {
    case set(Timestamp), now, keep

    var systemTime: timespec {
        switch self {
        case .set(let time): timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
        // UTIME_NOW and UTIME_OMIT of bits/stat.h.
        case .now: timespec(tv_sec: 0, tv_nsec: (1 << 30) - 1)
        case .keep: timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)
        }
    }
}

/// What to do when an extended attribute exists or not (`setxattr(2)`).
public enum AttributeMode: Int32, Sendable {
    case set = 0, create = 1, replace = 2
}

/// These work on path-only descriptors: they go through `/proc/self/fd`, which follows to the open inode and nowhere
/// else.
extension OwnedDescriptor {
    public borrowing func setPermissions(_ mode: UInt32) throws(Errno) {
        let path = procPath
        _ = try retryingOnInterrupt { unsafe path.withCString { unsafe chmod($0, mode) } }
    }

    /// nil leaves that part as it is.
    public borrowing func setOwner(_ owner: UInt32?, group: UInt32?) throws(Errno) {
        let number = rawValue
        _ = try retryingOnInterrupt {
            unsafe fchownat(number, "", owner ?? UInt32.max, group ?? UInt32.max, Int32(FX_AT_EMPTY_PATH))
        }
    }

    public borrowing func setTimes(accessed: TimeChange, modified: TimeChange) throws(Errno) {
        let number = rawValue
        let times = [accessed.systemTime, modified.systemTime]
        // AT_EMPTY_PATH works for path-only descriptors and symbolic links since Linux 5.8.
        _ = try retryingOnInterrupt {
            unsafe times.withUnsafeBufferPointer {
                unsafe utimensat(number, "", $0.baseAddress.unsafelyUnwrapped, Int32(FX_AT_EMPTY_PATH))
            }
        }
    }

    /// The value of an extended attribute; throws ENODATA when there is none.
    public borrowing func attribute(_ name: String) throws(Errno) -> [UInt8] {
        let path = procPath
        return try unsafe readGrowing { buffer in
            unsafe path.withCString { path in
                unsafe name.withCString { unsafe fx_getxattr(path, $0, buffer.baseAddress, buffer.count) }
            }
        }
    }

    public borrowing func setAttribute(_ name: String, to value: [UInt8], _ mode: AttributeMode = .set) throws(Errno) {
        let path = procPath
        _ = try retryingOnInterrupt {
            unsafe path.withCString { path in
                unsafe name.withCString { name in
                    unsafe value.withUnsafeBytes {
                        unsafe fx_setxattr(path, name, $0.baseAddress, $0.count, mode.rawValue)
                    }
                }
            }
        }
    }

    public borrowing func removeAttribute(_ name: String) throws(Errno) {
        let path = procPath
        _ = try retryingOnInterrupt {
            unsafe path.withCString { path in unsafe name.withCString { unsafe fx_removexattr(path, $0) } }
        }
    }

    /// The names of all extended attributes, each followed by a NUL (`listxattr(2)`).
    public borrowing func attributeNames() throws(Errno) -> [UInt8] {
        let path = procPath
        return try unsafe readGrowing { buffer in
            unsafe path.withCString {
                unsafe fx_listxattr($0, buffer.bindMemory(to: CChar.self).baseAddress, buffer.count)
            }
        }
    }

    /// The value of an extended attribute of `name` in this directory, in one call and without following a link at
    /// `name`.
    public borrowing func attribute(_ attribute: UnsafePointer<CChar>, of name: Name) throws(Errno) -> [UInt8] {
        let path = Array(procPath.utf8) + [UInt8(ascii: "/")] + name.bytes + [0]
        return try unsafe readGrowing { buffer in
            unsafe path.withUnsafeBytes {
                unsafe fx_lgetxattr(
                    $0.bindMemory(to: CChar.self).baseAddress, attribute, buffer.baseAddress, buffer.count)
            }
        }
    }
}

/// Calls with a small buffer, then with one of the largest size the kernel allows (XATTR_SIZE_MAX, 64 KiB).
private func readGrowing(_ call: (UnsafeMutableRawBufferPointer) -> Int) throws(Errno) -> [UInt8] {
    do throws(Errno) {
        return try unsafe readOnce(capacity: 256, call)
    } catch {
        if error != .outOfRange { throw error }
        return try unsafe readOnce(capacity: 64 << 10, call)
    }
}

private func readOnce(capacity: Int, _ call: (UnsafeMutableRawBufferPointer) -> Int) throws(Errno) -> [UInt8] {
    var failure = Errno(rawValue: 0)
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
        do throws(Errno) {
            let raw = UnsafeMutableRawBufferPointer(buffer)
            count = try retryingOnInterrupt { unsafe call(raw) }
        } catch {
            failure = error
        }
    }
    if failure.rawValue != 0 { throw failure }
    return bytes
}
