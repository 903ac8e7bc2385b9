internal import FXSystem

/// What `InMemoryService` holds, as services hold it: by ids. Names are any bytes, and may be the same.
struct InMemoryTree: Sendable {
    struct File: Sendable {
        var upload: UploadID
        var bytes: [UInt8]
    }

    enum Content: Sendable {
        case directory
        case session(SessionState)
        case file(File)
    }

    struct Entry: Sendable {
        var parent: String
        var name: [UInt8]
        var content: Content
        var modified: Timestamp?

        var file: File? { if case .file(let file) = content { file } else { nil } }
    }

    /// The id of the root.
    static let root = ""

    private var entries: [String: Entry] = [root: Entry(parent: root, name: [], content: .directory)]
    private var children: [String: [String]] = [:]
    private var number = 0
    let sessionDepth: Int

    init(sessionDepth: Int) { self.sessionDepth = sessionDepth }

    subscript(id: String) -> Entry? { entries[id] }

    // MARK: - Finding

    func id(of path: RelativePath) -> String? {
        var current = InMemoryTree.root
        for name in path.components {
            guard let next = child(Array(name.bytes), of: current) else { return nil }
            current = next
        }
        return current
    }

    func child(_ name: [UInt8], of parent: String) -> String? { children[parent]?.last { entries[$0]?.name == name } }

    /// A directory by its id, else by its path.
    func id(of directory: StoredDirectory) -> String? { directory.remoteID ?? id(of: directory.path) }

    func file(_ stored: StoredFile) -> File? {
        (entries[stored.remoteID] ?? id(of: stored.path).flatMap { entries[$0] })?.file
    }

    /// The session an entry is or lies in.
    func session(of id: String) -> SessionState? {
        var current = id
        while current != InMemoryTree.root, let entry = entries[current] {
            if case .session(let state) = entry.content { return state }
            current = entry.parent
        }
        return nil
    }

    /// Every file by its path; names that are none of a file are left out.
    var files: [RelativePath: File] {
        var found: [RelativePath: File] = [:]
        for (id, entry) in entries {
            if let file = entry.file, let path = path(of: id) { found[path] = file }
        }
        return found
    }

    private func path(of id: String) -> RelativePath? {
        var names: [Name] = []
        var current = id
        while current != InMemoryTree.root, let entry = entries[current] {
            guard let name = try? Name(validating: entry.name) else { return nil }
            names.append(name)
            current = entry.parent
        }
        return RelativePath(names.reversed())
    }

    func listed(in id: String) -> [ListedEntry] {
        (children[id] ?? []).compactMap { id in
            guard let entry = entries[id] else { return nil }
            var listed = ListedEntry(name: entry.name, kind: .directory, remoteID: id, modified: entry.modified)
            switch entry.content {
            case .directory: break
            case .session(let state): listed.kind = .session(state)
            case .file(let file):
                listed.kind = .file(ByteCount(UInt64(file.bytes.count)))
                if file.upload != .unknown { listed.upload = file.upload }
            }
            return listed
        }
    }

    // MARK: - Changing

    /// - Returns: the id.
    @discardableResult
    mutating func insert(_ entry: Entry, id: String? = nil) -> String {
        number += 1
        let id = id ?? "e\(number)"
        entries[id] = entry
        children[entry.parent, default: []].append(id)
        return id
    }

    @discardableResult
    mutating func remove(_ id: String) -> Entry? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        children[entry.parent]?.removeAll { $0 == id }
        for child in children.removeValue(forKey: id) ?? [] { remove(child) }
        return entry
    }

    mutating func update(_ id: String, _ change: (inout Entry) -> Void) {
        if var entry = entries[id] {
            change(&entry)
            entries[id] = entry
        }
    }

    /// A directory in another, made if it is missing: a session at the depth of sessions.
    mutating func directory(_ name: Name, in parent: String) -> String {
        if let known = child(Array(name.bytes), of: parent) { return known }
        let isSession = session(of: parent) == nil && depth(of: parent) == sessionDepth
        return insert(
            Entry(parent: parent, name: Array(name.bytes), content: isSession ? .session(.open) : .directory))
    }

    mutating func directory(at path: RelativePath) -> String {
        var current = InMemoryTree.root
        for name in path.components { current = directory(name, in: current) }
        return current
    }

    mutating func move(_ id: String, to parent: String, as name: Name) {
        guard let old = entries[id] else { return }
        children[old.parent]?.removeAll { $0 == id }
        children[parent, default: []].append(id)
        update(id) { entry in
            entry.parent = parent
            entry.name = Array(name.bytes)
        }
    }

    private func depth(of id: String) -> Int {
        var depth = 0
        var current = id
        while current != InMemoryTree.root, let entry = entries[current] {
            depth += 1
            current = entry.parent
        }
        return depth
    }
}
