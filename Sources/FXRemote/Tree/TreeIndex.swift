internal import FXSystem

/// All entries of a remote by id and by name. Pure; guarded by the tree.
struct TreeIndex: Sendable {
    /// Without gaps; the last takes the place of one that goes.
    private var nodes: ContiguousArray<Node>
    private var slots: [EntryID: Int32]
    private var children: [EntryID: Children] = [:]

    private struct Children: Sendable {
        var byName: [Name: EntryID] = [:]
        /// Ascending, which is the order of creation.
        var ordered: [EntryID] = []

        /// Where an id is, or belongs.
        func position(of id: EntryID) -> Int {
            if let last = ordered.last, last < id { return ordered.count }
            var (low, high) = (0, ordered.count)
            while low < high {
                let middle = (low + high) / 2
                if ordered[middle] < id { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    init(root: Node) {
        nodes = [root]
        slots = [root.id: 0]
    }

    subscript(id: EntryID) -> Node? { slots[id].map { nodes[Int($0)] } }

    /// Every entry, in no order.
    var all: ContiguousArray<Node> { nodes }

    func child(_ name: Name, of parent: EntryID) -> Node? { children[parent]?.byName[name].flatMap { self[$0] } }

    func children(of parent: EntryID) -> [Node] { childIDs(of: parent).compactMap { self[$0] } }

    /// In the order of creation; costs nothing.
    func childIDs(of parent: EntryID) -> [EntryID] { children[parent]?.ordered ?? [] }

    func isEmpty(_ parent: EntryID) -> Bool { children[parent]?.ordered.isEmpty ?? true }

    mutating func insert(_ node: Node) {
        slots[node.id] = Int32(nodes.count)
        nodes.append(node)
        var siblings = children.removeValue(forKey: node.parent) ?? Children()
        siblings.byName[node.name] = node.id
        siblings.ordered.insert(node.id, at: siblings.position(of: node.id))
        children[node.parent] = siblings
        if node.kind != .file { update(node.parent) { $0.subdirectories += 1 } }
    }

    @discardableResult
    mutating func remove(_ id: EntryID) -> Node? {
        guard let node = take(id) else { return nil }
        guard var siblings = children.removeValue(forKey: node.parent) else { return node }
        if siblings.byName[node.name] == id { siblings.byName[node.name] = nil }
        let position = siblings.position(of: id)
        if position < siblings.ordered.count, siblings.ordered[position] == id { siblings.ordered.remove(at: position) }
        if !siblings.ordered.isEmpty { children[node.parent] = siblings }
        if node.kind != .file { update(node.parent) { $0.subdirectories -= 1 } }
        return node
    }

    private mutating func take(_ id: EntryID) -> Node? {
        guard let slot = slots.removeValue(forKey: id) else { return nil }
        let node = nodes[Int(slot)]
        if let last = nodes.popLast(), last.id != id {
            nodes[Int(slot)] = last
            slots[last.id] = slot
        }
        return node
    }

    /// Takes entries of one directory out, with everything below them; returns all of it.
    mutating func remove(_ gone: Set<EntryID>, from parent: EntryID) -> [Node] {
        guard var siblings = children.removeValue(forKey: parent) else { return [] }
        var removed: [Node] = []
        for id in gone {
            guard let node = take(id) else { continue }
            removed.append(node)
            if siblings.byName[node.name] == id { siblings.byName[node.name] = nil }
            if node.kind != .file { update(parent) { $0.subdirectories -= 1 } }
            removed += removeAll(below: id)
        }
        siblings.ordered.removeAll { gone.contains($0) }
        if !siblings.ordered.isEmpty { children[parent] = siblings }
        return removed
    }

    private mutating func removeAll(below id: EntryID) -> [Node] {
        var removed: [Node] = []
        // A list and not a recursion: directories may be deep.
        var waiting = [id]
        while let next = waiting.popLast() {
            for child in children.removeValue(forKey: next)?.ordered ?? [] {
                guard let node = take(child) else { continue }
                if node.kind != .file { waiting.append(child) }
                removed.append(node)
            }
        }
        return removed
    }

    mutating func update(_ id: EntryID, _ change: (inout Node) -> Void) {
        if let slot = slots[id] { change(&nodes[Int(slot)]) }
    }

    /// After a load in which children may have come before their parents.
    mutating func recountSubdirectories() {
        for slot in nodes.indices {
            let count = childIDs(of: nodes[slot].id).count { self[$0]?.kind != .file }
            nodes[slot].subdirectories = UInt32(count)
        }
    }

    mutating func move(_ id: EntryID, to parent: EntryID, as name: Name) {
        guard var node = remove(id) else { return }
        node.parent = parent
        node.name = name
        insert(node)
    }

    /// From the first directory below the root down; empty for the root.
    func path(of id: EntryID) -> RelativePath {
        var names: [Name] = []
        var current = id
        while current != .root, let node = self[current] {
            names.append(node.name)
            current = node.parent
        }
        return RelativePath(names.reversed())
    }

    /// The session an entry is or lies in; nil above sessions.
    func session(of id: EntryID) -> Node? {
        var current = id
        while current != .root, let node = self[current] {
            if node.session != nil { return node }
            current = node.parent
        }
        return nil
    }

    /// The path of an entry within its session; empty for the session.
    func pathInSession(of id: EntryID) -> RelativePath {
        guard let session = session(of: id) else { return path(of: id) }
        return RelativePath(Array(path(of: id).components.dropFirst(depth(of: session.id))))
    }

    /// How many names the path of an entry has; 0 for the root.
    func depth(of id: EntryID) -> Int {
        var depth = 0
        var current = id
        while current != .root, let node = self[current] {
            depth += 1
            current = node.parent
        }
        return depth
    }

    func isWithin(_ id: EntryID, _ ancestor: EntryID) -> Bool {
        var current = id
        while current != ancestor {
            guard current != .root, let node = self[current] else { return false }
            current = node.parent
        }
        return true
    }

    /// Visits every file at or below an entry, in no order.
    func forEachFile(below id: EntryID, _ body: (Node) -> Void) {
        // A list and not a recursion: directories may be deep.
        var waiting = [id]
        while let next = waiting.popLast() {
            guard let node = self[next] else { continue }
            if node.kind == .file { body(node) } else { waiting += childIDs(of: next) }
        }
    }

    /// Every file at or below an entry, in path order.
    func files(below id: EntryID) -> [Node] {
        guard let node = self[id] else { return [] }
        if node.kind == .file { return [node] }
        return children(of: id).sorted { $0.name < $1.name }.flatMap { files(below: $0.id) }
    }
}
