internal import CFuse3
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Requests about attributes. Each decodes, calls one method, answers.
extension fuse_lowlevel_ops {
    mutating func installAttributeOperations() {
        unsafe getattr = { raw, number, info in
            unsafe serve(
                raw,
                { context, _ throws(Errno) -> (FileStatus, Double) in
                    let node = try context.node(number)
                    return (try node.status(using: unsafe HandlePointer.file(info)), context.timeout(of: node))
                }, answer: { $1.answer(attributes: $2.0, timeout: $2.1) })
        }
        unsafe setattr = { raw, number, attributes, which, info in
            unsafe serve(
                raw,
                decoding: { context throws(Errno) -> DecodedCall<(FileStatus, Double)> in
                    guard let attributes = unsafe attributes?.pointee else { throw .invalidArgument }
                    let node = try context.node(number)
                    let change = SetAttributes(attributes, which)
                    let handle = unsafe HandlePointer.file(info)
                    return DecodedCall(node.lane(for: .setAttributes(change))) { caller throws(Errno) in
                        (try node.setAttributes(change, using: handle, by: caller), context.timeout(of: node))
                    }
                }, answer: { $1.answer(attributes: $2.0, timeout: $2.1) })
        }
        unsafe statfs = { raw, number in
            unsafe serve(
                raw, { context, _ throws(Errno) in try context.node(number).space() },
                answer: { $1.answer(space: $2) })
        }
        unsafe getxattr = { raw, number, cName, size in
            unsafe serve(
                raw,
                { context, caller throws(Errno) in
                    try context.node(number).attribute(try unsafe text(cName), by: caller)
                }, answer: { $1.answer(attribute: $2, capacity: size) })
        }
        unsafe listxattr = { raw, number, size in
            unsafe serve(
                raw, { context, _ throws(Errno) in try context.node(number).attributeNames() },
                answer: { $1.answer(attribute: $2, capacity: size) })
        }
        unsafe setxattr = { raw, number, cName, value, size, flags in
            unsafe serve(raw) { context, caller, request in
                do throws(Errno) {
                    guard let mode = AttributeMode(rawValue: flags) else { throw .invalidArgument }
                    let node = try context.node(number)
                    let attribute = try unsafe text(cName)
                    let bytes = unsafe Array(UnsafeRawBufferPointer(start: value, count: size))
                    node.setAttribute(attribute, to: bytes, mode, by: caller, request)
                } catch {
                    request.fail(error)
                }
            }
        }
        unsafe removexattr = { raw, number, cName in
            unsafe serve(
                raw,
                { context, caller throws(Errno) in
                    try context.node(number).removeAttribute(try unsafe text(cName), by: caller)
                }, answer: { _, request, _ in request.succeed() })
        }
    }
}

/// The name of an extended attribute; the kernel's are ASCII, a user's may be any bytes, of which only UTF-8 is
/// carried.
private func text(_ pointer: UnsafePointer<CChar>?) throws(Errno) -> String {
    guard let pointer = unsafe pointer, let text = unsafe String(validatingCString: pointer) else {
        throw .invalidArgument
    }
    return text
}

extension SetAttributes {
    /// FUSE_SET_ATTR_ bits of fuse_lowlevel.h.
    fileprivate init(_ attributes: stat, _ which: Int32) {
        if which & FUSE_SET_ATTR_MODE != 0 { permissions = attributes.st_mode & 0o7777 }
        if which & FUSE_SET_ATTR_UID != 0 { owner = attributes.st_uid }
        if which & FUSE_SET_ATTR_GID != 0 { group = attributes.st_gid }
        if which & FUSE_SET_ATTR_SIZE != 0 { size = ByteCount(UInt64(clamping: attributes.st_size)) }
        if which & FUSE_SET_ATTR_ATIME_NOW != 0 {
            accessed = .now
        } else if which & FUSE_SET_ATTR_ATIME != 0 {
            accessed = .set(
                Timestamp(
                    seconds: Int64(attributes.st_atim.tv_sec), nanoseconds: UInt32(clamping: attributes.st_atim.tv_nsec)
                ))
        }
        if which & FUSE_SET_ATTR_MTIME_NOW != 0 {
            modified = .now
        } else if which & FUSE_SET_ATTR_MTIME != 0 {
            modified = .set(
                Timestamp(
                    seconds: Int64(attributes.st_mtim.tv_sec), nanoseconds: UInt32(clamping: attributes.st_mtim.tv_nsec)
                ))
        }
    }
}
