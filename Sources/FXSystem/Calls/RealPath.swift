internal import Glibc
public import SystemPackage

extension OwnedDescriptor {
    /// The path the kernel knows the open file by, symbolic links resolved.
    /// - Throws: ENOENT when the file has no name any more.
    public borrowing func realPath() throws(Errno) -> [UInt8] {
        if try status().linkCount == 0 { throw .noSuchFileOrDirectory }
        let link = procPath
        // PATH_MAX: readlink of /proc/self/fd never returns more (proc(5)).
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try retryingOnInterrupt {
            unsafe link.withCString { path in
                unsafe buffer.withUnsafeMutableBytes {
                    unsafe readlink(path, $0.bindMemory(to: CChar.self).baseAddress.unsafelyUnwrapped, $0.count)
                }
            }
        }
        buffer.removeLast(buffer.count - count)
        return buffer
    }
}
