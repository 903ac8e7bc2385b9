internal import CFuse3
internal import Glibc

/// Handles as the kernel keeps them: `fh` is a retained pointer, given back exactly once by RELEASE or RELEASEDIR.
///
/// The kernel sends no request with a handle after its release (fuse_lowlevel.h), so borrowing one is safe.
enum HandlePointer {
    static func retain(_ handle: any FileHandle) -> UInt64 { retainBox(FileBox(handle)) }
    static func retain(_ handle: any DirectoryHandle) -> UInt64 { retainBox(DirectoryBox(handle)) }

    static func file(_ info: UnsafeMutablePointer<fuse_file_info>?) -> (any FileHandle)? {
        guard let pointer = unsafe pointer(info) else { return nil }
        return unsafe Unmanaged<FileBox>.fromOpaque(pointer).takeUnretainedValue().handle
    }

    static func directory(_ info: UnsafeMutablePointer<fuse_file_info>?) -> (any DirectoryHandle)? {
        guard let pointer = unsafe pointer(info) else { return nil }
        return unsafe Unmanaged<DirectoryBox>.fromOpaque(pointer).takeUnretainedValue().handle
    }

    static func takeFile(_ number: UInt64) -> (any FileHandle)? {
        guard let pointer = unsafe UnsafeMutableRawPointer(bitPattern: UInt(number)) else { return nil }
        return unsafe Unmanaged<FileBox>.fromOpaque(pointer).takeRetainedValue().handle
    }

    static func takeDirectory(_ number: UInt64) -> (any DirectoryHandle)? {
        guard let pointer = unsafe UnsafeMutableRawPointer(bitPattern: UInt(number)) else { return nil }
        return unsafe Unmanaged<DirectoryBox>.fromOpaque(pointer).takeRetainedValue().handle
    }

    // Classes hold one word; an existential holds more, hence the boxes.
    private final class FileBox {
        let handle: any FileHandle
        init(_ handle: any FileHandle) { self.handle = handle }
    }
    private final class DirectoryBox {
        let handle: any DirectoryHandle
        init(_ handle: any DirectoryHandle) { self.handle = handle }
    }

    private static func retainBox(_ box: AnyObject) -> UInt64 {
        UInt64(UInt(bitPattern: unsafe Unmanaged.passRetained(box).toOpaque()))
    }

    private static func pointer(_ info: UnsafeMutablePointer<fuse_file_info>?) -> UnsafeMutableRawPointer? {
        guard let info = unsafe info else { return nil }
        return unsafe UnsafeMutableRawPointer(bitPattern: UInt(info.pointee.fh))
    }
}
