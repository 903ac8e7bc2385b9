internal import CFuse3
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Requests about names. Each decodes, calls one method, answers.
extension fuse_lowlevel_ops {
    mutating func installEntryOperations() {
        unsafe lookup = { raw, parent, cName in
            unsafe serve(
                raw,
                decoding: { context throws(Errno) in
                    let directory = try context.directory(parent)
                    let name = try unsafe name(cName)
                    return DecodedCall(directory.lane(for: .lookup(name))) { caller throws(Errno) in
                        try directory.lookup(name, by: caller)
                    }
                }, answer: { $0.answer($1, found: $2) })
        }
        unsafe forget = { raw, number, count in
            unsafe serve(raw) { context, _, request in
                context.table.forget(Inode(rawValue: number), count: count)
                request.finishWithoutAnswer()
            }
        }
        unsafe forget_multi = { raw, count, list in
            unsafe serve(raw) { context, _, request in
                for index in 0..<count {
                    guard let item = unsafe list?[index] else { break }
                    context.table.forget(Inode(rawValue: item.ino), count: item.nlookup)
                }
                request.finishWithoutAnswer()
            }
        }
        unsafe mkdir = { raw, parent, cName, mode in
            unsafe serve(
                raw,
                decoding: { context throws(Errno) in
                    let directory = try context.directory(parent)
                    let name = try unsafe name(cName)
                    return DecodedCall(directory.lane(for: .makeDirectory)) { caller throws(Errno) in
                        try directory.makeDirectory(name, mode: mode, by: caller)
                    }
                }, answer: { $0.answer($1, found: $2) })
        }
        unsafe mknod = { raw, parent, cName, mode, device in
            unsafe serve(
                raw,
                { context, caller throws(Errno) in
                    try context.directory(parent).makeNode(
                        try unsafe name(cName), mode: mode, device: UInt64(device), by: caller)
                }, answer: { $0.answer($1, found: $2) })
        }
        unsafe symlink = { raw, target, parent, cName in
            unsafe serve(
                raw,
                { context, caller throws(Errno) in
                    let bytes =
                        unsafe target.map { unsafe Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) } ?? []
                    return try context.directory(parent).makeSymbolicLink(
                        try unsafe name(cName), target: bytes, by: caller)
                }, answer: { $0.answer($1, found: $2) })
        }
        unsafe link = { raw, number, parent, cName in
            unsafe serve(
                raw,
                { context, caller throws(Errno) in
                    try context.directory(parent).link(try context.node(number), as: try unsafe name(cName), by: caller)
                }, answer: { $0.answer($1, found: $2) })
        }
        unsafe unlink = { raw, parent, cName in
            unsafe serve(
                raw,
                decoding: { context throws(Errno) in
                    let directory = try context.directory(parent)
                    let name = try unsafe name(cName)
                    return DecodedCall(directory.lane(for: .remove(name))) { caller throws(Errno) in
                        try directory.remove(name, by: caller)
                    }
                }, answer: { _, request, _ in request.succeed() })
        }
        unsafe rmdir = { raw, parent, cName in
            unsafe serve(
                raw,
                { context, caller throws(Errno) in
                    try context.directory(parent).removeDirectory(try unsafe name(cName), by: caller)
                }, answer: { _, request, _ in request.succeed() })
        }
        unsafe rename = { raw, parent, cName, newParent, cNewName, flags in
            unsafe serve(
                raw,
                { context, caller throws(Errno) in
                    try context.directory(parent).rename(
                        try unsafe name(cName), to: try unsafe name(cNewName), in: try context.directory(newParent),
                        try RenameMode(flags: flags), by: caller)
                },
                answer: { context, request, outcome in
                    switch outcome {
                    case .done(let moved):
                        for node in moved { context.table.refresh(node) }
                        request.succeed()
                    case .later(let answer): answer(request)
                    }
                })
        }
        unsafe readlink = { raw, number in
            unsafe serve(
                raw, { context, _ throws(Errno) in try context.node(number).readLink() },
                answer: { $1.answer(linkTarget: $2) })
        }
    }
}

extension RenameMode {
    /// The flags of renameat2(2). RENAME_WHITEOUT would leave a device in the place of a file: refused.
    fileprivate init(flags: UInt32) throws(Errno) {
        switch flags {
        case 0: self = .replace
        case 1: self = .noReplace
        case 2: self = .exchange
        default: throw .invalidArgument
        }
    }
}
