internal import CFuse3
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Requests about open directories. Each decodes, calls one method, answers.
extension fuse_lowlevel_ops {
    mutating func installDirectoryOperations() {
        unsafe opendir = { raw, number, _ in
            unsafe serve(
                raw,
                decoding: { context throws(Errno) in
                    let directory = try context.directory(number)
                    return DecodedCall(directory.lane(for: .openDirectory)) { caller throws(Errno) in
                        try directory.openDirectory(by: caller)
                    }
                },
                answer: { _, request, handle in
                    let pointer = HandlePointer.retain(handle)
                    if !request.answer(open: OpenReply(), handle: pointer) {
                        HandlePointer.takeDirectory(pointer)?.release()
                    }
                }, unwanted: { $0.release() })
        }
        unsafe readdir = { raw, _, size, offset, info in
            unsafe serve(raw) { _, caller, request in
                guard let handle = unsafe HandlePointer.directory(info) else { return request.fail(.badFileDescriptor) }
                _ = request.answer(listing: size) { buffer throws(Errno) in
                    try handle.enumerate(from: Int64(offset), status: nil, by: caller) { buffer.add($0) }
                }
            }
        }
        unsafe readdirplus = { raw, _, size, offset, info in
            unsafe serve(raw) { context, caller, request in
                guard let handle = unsafe HandlePointer.directory(info) else { return request.fail(.badFileDescriptor) }
                var entered: [Inode] = []
                let status = ListingStatus { context.table.node(for: $0) }
                let isTaken = request.answer(listing: size) { buffer throws(Errno) in
                    try handle.enumerate(from: Int64(offset), status: status, by: caller) { entry in
                        add(entry, to: &buffer, context, &entered)
                    }
                }
                if !isTaken { for inode in entered { context.table.forget(inode, count: 1) } }
            }
        }
        unsafe releasedir = { raw, _, info in
            let pointer = unsafe info?.pointee.fh ?? 0
            unsafe serve(raw) { _, _, request in
                HandlePointer.takeDirectory(pointer)?.release()
                request.succeed()
            }
        }
        unsafe fsyncdir = { raw, _, _, info in
            unsafe serve(raw) { _, caller, request in
                guard let handle = unsafe HandlePointer.directory(info) else { return request.fail(.badFileDescriptor) }
                handle.sync(by: caller, request)
            }
        }
    }
}

/// Packs one entry of READDIRPLUS; it counts as a lookup only when it was packed with its attributes.
private func add(
    _ entry: ListedEntry, to buffer: inout ListingBuffer, _ context: FuseContext, _ entered: inout [Inode]
) -> Bool {
    guard let found = entry.found else {
        // Node 0: the kernel takes name, number and type, and looks the rest up itself when it needs it.
        var status = FileStatus.virtual(type: entry.type, permissions: 0, inode: entry.inode)
        status.linkCount = 1
        return buffer.add(entry, EntryReply(inode: Inode(rawValue: 0), status: status, timeout: 0))
    }
    let (inode, node) = context.table.enter(found.node)
    let isPacked = buffer.add(entry, EntryReply(inode: inode, status: found.status, timeout: context.timeout(of: node)))
    if isPacked { entered.append(inode) } else { context.table.forget(inode, count: 1) }
    return isPacked
}
