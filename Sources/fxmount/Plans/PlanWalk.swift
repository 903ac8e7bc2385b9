internal import FXSystem
internal import SystemPackage

/// Goes through a directory tree without following symbolic links: parents first, names in order.
struct PlanWalk: ~Copyable {
    private let root: OwnedDescriptor

    /// - Parameter root: a directory, opened for reading.
    init(_ root: borrowing OwnedDescriptor) throws(Errno) { self.root = try root.reopenDirectory() }

    /// Calls `body` for every entry below. A list and not a recursion: what lies there may be deep.
    borrowing func forEach(_ body: (RelativePath, FileStatus) throws(Errno) -> Void) throws(Errno) {
        var waiting = [RelativePath()]
        while let path = waiting.popLast() {
            let directory = try root.openBeneath(path, [.readOnly, .directory])
            var below: [RelativePath] = []
            for name in try directory.entryNames().sorted() {
                let status = try directory.status(of: name)
                let next = path.appending(name)
                try body(next, status)
                if status.isDirectory { below.append(next) }
            }
            waiting += below.reversed()
        }
    }
}
