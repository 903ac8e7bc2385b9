internal import CFuse3
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Requests about open files. Each decodes, calls one method, answers.
extension fuse_lowlevel_ops {
    mutating func installFileOperations() {
        unsafe open = { raw, number, info in
            let flags = OpenFlags(rawValue: unsafe info?.pointee.flags ?? 0)
            unsafe serve(
                raw,
                decoding: { context throws(Errno) in
                    let node = try context.node(number)
                    return DecodedCall(node.lane(for: .open(flags))) { caller throws(Errno) in
                        try node.open(flags, by: caller)
                    }
                },
                answer: { _, request, handle in
                    let pointer = HandlePointer.retain(handle)
                    if !request.answer(open: handle.openReply, handle: pointer) {
                        HandlePointer.takeFile(pointer)?.withdraw()
                    }
                }, unwanted: { $0.withdraw() })
        }
        unsafe create = { raw, parent, cName, mode, info in
            let flags = OpenFlags(rawValue: unsafe info?.pointee.flags ?? 0)
            unsafe serve(
                raw,
                decoding: { context throws(Errno) in
                    let directory = try context.directory(parent)
                    let name = try unsafe name(cName)
                    return DecodedCall(directory.lane(for: .create(name))) { caller throws(Errno) in
                        try directory.create(name, flags, mode: mode, by: caller)
                    }
                },
                answer: { context, request, made in
                    let (inode, node) = context.table.enter(made.found.node)
                    let handle = made.open(node)
                    let pointer = HandlePointer.retain(handle)
                    let entry = EntryReply(inode: inode, status: made.found.status, timeout: context.timeout(of: node))
                    if !request.answer(created: entry, open: handle.openReply, handle: pointer) {
                        HandlePointer.takeFile(pointer)?.withdraw()
                        context.table.forget(inode, count: 1)
                    }
                }, unwanted: { $0.withdraw() })
        }
        unsafe read = { raw, _, size, offset, info in
            unsafe serve(raw) { _, _, request in
                guard let handle = unsafe HandlePointer.file(info) else { return request.fail(.badFileDescriptor) }
                handle.read(size, at: UInt64(clamping: offset), request)
            }
        }
        unsafe write_buf = { raw, _, vector, offset, info in
            let appends = OpenFlags(rawValue: unsafe info?.pointee.flags ?? 0).contains(.append)
            unsafe serve(raw) { _, caller, request in
                guard let handle = unsafe HandlePointer.file(info), let vector = unsafe vector else {
                    return request.fail(.badFileDescriptor)
                }
                let data = unsafe WriteData(vector)
                handle.write(data, at: UInt64(clamping: offset), appending: appends, by: caller, request)
            }
        }
        unsafe flush = { raw, _, info in
            unsafe serve(raw) { _, caller, request in
                guard let handle = unsafe HandlePointer.file(info) else { return request.fail(.badFileDescriptor) }
                handle.flush(by: caller, request)
            }
        }
        unsafe release = { raw, _, info in
            let pointer = unsafe info?.pointee.fh ?? 0
            unsafe serve(raw) { _, _, request in
                // Nobody waits for the answer (fuse_lowlevel.h), but descriptors are to be closed before it.
                HandlePointer.takeFile(pointer)?.release()
                request.succeed()
            }
        }
        unsafe fsync = { raw, _, dataOnly, info in
            unsafe serve(raw) { _, caller, request in
                guard let handle = unsafe HandlePointer.file(info) else { return request.fail(.badFileDescriptor) }
                handle.sync(dataOnly: dataOnly != 0, by: caller, request)
            }
        }
        unsafe fallocate = { raw, _, mode, offset, length, info in
            let (start, count) = (UInt64(clamping: offset), UInt64(clamping: length))
            unsafe serve(
                raw,
                decoding: { _ throws(Errno) in
                    guard let handle = unsafe HandlePointer.file(info) else { throw .badFileDescriptor }
                    return DecodedCall(handle.laneForChanges) { caller throws(Errno) in
                        try handle.allocate(mode: mode, offset: start, length: count, by: caller)
                    }
                }, answer: { _, request, _ in request.succeed() })
        }
        unsafe lseek = { raw, _, offset, whence, info in
            unsafe serve(
                raw,
                { _, _ throws(Errno) in
                    guard let handle = unsafe HandlePointer.file(info) else { throw .badFileDescriptor }
                    return try handle.seek(Int64(offset), whence: whence)
                }, answer: { $1.answer(position: $2) })
        }
        unsafe copy_file_range = { raw, _, offset, info, _, targetOffset, targetInfo, count, _ in
            unsafe serve(
                raw,
                { _, caller throws(Errno) in
                    guard let source = unsafe HandlePointer.file(info),
                        let target = unsafe HandlePointer.file(targetInfo)
                    else {
                        throw .badFileDescriptor
                    }
                    return try source.copyRange(
                        at: UInt64(clamping: offset), to: target, at: UInt64(clamping: targetOffset), count: count,
                        by: caller)
                }, answer: { $1.answer(written: $2) })
        }
    }
}
