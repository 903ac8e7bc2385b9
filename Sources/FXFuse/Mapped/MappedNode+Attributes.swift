internal import FXMapping
internal import FXSystem
internal import SystemPackage

/// Extended attributes of mapped files: the backing file's own, and ours under `user.fxmount.`.
extension MappedNode {
    static let reservedPrefix = "user.fxmount."

    func attribute(_ name: String, by caller: Caller) throws(Errno) -> [UInt8] {
        if name.hasPrefix(MappedNode.reservedPrefix) {
            return try ownAttribute(String(name.dropFirst(MappedNode.reservedPrefix.count)), by: caller)
        }
        // One call, without opening the file: `ls -l` asks every file for its ACL.
        if let location = try? location(), let bytes = try attribute(name, at: location) { return bytes }
        if type == .symbolicLink { throw .notSupported }
        return try pinned { descriptor throws(Errno) in try descriptor.attribute(name) }
    }

    private func attribute(_ name: String, at location: (parent: MappedDirectory, name: Name)) throws(Errno) -> [UInt8]?
    {
        let anchor = try location.parent.anchor()
        do throws(Errno) {
            return try unsafe name.withCStringThrowing { cName throws(Errno) in
                try unsafe anchor.descriptor.attribute(cName, of: location.name)
            }
        } catch {
            // The name may be gone while the file is open.
            if error == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    /// `state`: what the no-delete policy takes the file for.
    private func ownAttribute(_ name: String, by caller: Caller) throws(Errno) -> [UInt8] {
        switch name {
        case "state" where type == .regular:
            let isDraft = try gate().isDraft(try backingStatus())
            return Array((isDraft ? "draft" : "sealed").utf8)
        case "policy": return Array(try gate().policy.rawValue.utf8)
        default: throw .noAttribute
        }
    }

    func attributeNames() throws(Errno) -> [UInt8] {
        // A symbolic link can only carry trusted and security attributes, which path-only descriptors do not list.
        if type == .symbolicLink { return [] }
        return try pinned { descriptor throws(Errno) in try descriptor.attributeNames() }
    }

    func setAttribute(
        _ name: String, to value: [UInt8], _ mode: AttributeMode, by caller: Caller, _ request: consuming PendingRequest
    ) {
        do throws(Errno) {
            if name.hasPrefix(MappedNode.reservedPrefix) { throw .notPermitted }
            if type == .symbolicLink { throw .notSupported }
            let gate = try gate()
            let place = place()
            try pinned { descriptor throws(Errno) in
                try gate.setAttribute(name, to: value, mode, of: descriptor, place, by: caller)
            }
            request.succeed()
        } catch {
            request.fail(error)
        }
    }

    func removeAttribute(_ name: String, by caller: Caller) throws(Errno) {
        if name.hasPrefix(MappedNode.reservedPrefix) { throw .notPermitted }
        if type == .symbolicLink { throw .notSupported }
        let gate = try gate()
        let place = place()
        try pinned { descriptor throws(Errno) in
            try gate.removeAttribute(name, of: descriptor, place, by: caller)
        }
    }
}

extension String {
    /// `withCString` with a typed error.
    fileprivate func withCStringThrowing<Result>(
        _ body: (UnsafePointer<CChar>) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        let characters = utf8CString
        return try unsafe characters.withUnsafeBufferPointer { buffer throws(Errno) in
            guard let base = buffer.baseAddress else { throw .invalidArgument }
            return try unsafe body(base)
        }
    }
}
