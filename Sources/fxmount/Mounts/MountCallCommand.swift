internal import ArgumentParser
internal import CLinux
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// One access to a mount, made by a process of its own (see `MountAccess`). Prints one JSON document.
struct MountCallCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "__mount-call", shouldDisplay: false)

    enum Call: String, ExpressibleByArgument, CaseIterable {
        case answers, read, attributes, set, sync, kind, entries, tree, makeDirectory, copy
    }

    @Argument var call: Call
    @Argument var path: String
    @Argument(parsing: .remaining) var words: [String] = []

    func run() throws {
        do throws(Errno) {
            let answer = try perform()
            print(JSONValue.object([.init("answer", answer)]).text)
        } catch {
            print(JSONValue.object([.init("errno", .integer(Int64(error.rawValue)))]).text)
        }
    }

    private func perform() throws(Errno) -> JSONValue {
        switch call {
        case .read:
            let file = try OwnedDescriptor.open(absolute: path, [.readOnly])
            return .string(String(decoding: try contents(of: file), as: UTF8.self))
        case .attributes:
            let file = try OwnedDescriptor.open(absolute: path, [.pathOnly])
            var found: [JSONValue.Member] = []
            for word in words {
                do throws(Errno) {
                    let value = try file.attribute(word)
                    found.append(.init(word, .string(String(decoding: value, as: UTF8.self))))
                } catch {
                    if error != .noAttribute, error != .notSupported { throw error }
                }
            }
            return .object(found)
        case .set:
            guard words.count == 2 else { throw .invalidArgument }
            let file = try OwnedDescriptor.open(absolute: path, [.pathOnly])
            try file.setAttribute(words[0], to: Array(words[1].utf8))
            return .null
        case .sync:
            // A regular file is made durable, a directory waits for everything below it.
            try OwnedDescriptor.open(absolute: path, [.readOnly, .nonBlocking]).sync()
            return .null
        case .entries:
            let names = words
            var found: [JSONValue] = []
            let directory = try OwnedDescriptor.open(absolute: path, [.readOnly, .directory])
            for name in try directory.entryNames().sorted() {
                let entry = try directory.open(name, [.pathOnly])
                var members: [JSONValue.Member] = [
                    .init("name", .string(String(decoding: name.bytes, as: UTF8.self))),
                    .init("directory", .bool(try entry.status().isDirectory)),
                ]
                for attribute in names {
                    let value = try? entry.attribute(attribute)
                    members.append(.init(attribute, .text(value.map { String(decoding: $0, as: UTF8.self) })))
                }
                found.append(.object(members))
            }
            return .array(found)
        case .tree: return .array(try tree())
        case .makeDirectory:
            let parts = path.split(separator: "/")
            guard let last = parts.last, let name = try? Name(String(last)) else { throw .invalidArgument }
            let parent = "/" + parts.dropLast().joined(separator: "/")
            try OwnedDescriptor.open(absolute: parent, [.pathOnly, .directory]).makeDirectory(name, mode: 0o777)
            return .null
        case .copy:
            guard words.count == 1 else { throw .invalidArgument }
            let source = try OwnedDescriptor.open(absolute: path, [.readOnly, .noFollow])
            let target = try OwnedDescriptor.open(absolute: words[0], [.writeOnly, .create, .exclusive], mode: 0o666)
            let count = try target.copyContent(from: source)
            try target.sync()
            return ["size": .bytes(count)]
        case .answers:
            // statfs(2) is never answered from a cache: a dead mount says ENOTCONN.
            _ = try OwnedDescriptor.open(absolute: path, [.pathOnly]).space()
            return .null
        case .kind:
            let status = try OwnedDescriptor.open(absolute: path, [.pathOnly]).status()
            return ["directory": .bool(status.isDirectory), "size": .bytes(status.size)]
        }
    }

    private func tree() throws(Errno) -> [JSONValue] {
        var found: [JSONValue] = []
        let root = try OwnedDescriptor.open(absolute: path, [.readOnly, .directory])
        try PlanWalk(root).forEach { path, status throws(Errno) in
            var state: String?
            if status.isRegular {
                let file = try root.openBeneath(path, [.pathOnly, .noFollow])
                state = (try? file.attribute("user.fxmount.state")).map { String(decoding: $0, as: UTF8.self) }
            }
            found.append([
                "path": .string(String(decoding: path.bytes, as: UTF8.self)), "directory": .bool(status.isDirectory),
                "size": .bytes(status.size), "modified": .integer(status.modified.seconds), "state": .text(state),
            ])
        }
        return found
    }

    /// Files under `.fxmount` are made when opened and tell no size: read to the end.
    private func contents(of file: borrowing OwnedDescriptor) throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let part = try file.read(256 << 10, at: UInt64(bytes.count))
            if part.isEmpty { return bytes }
            bytes += part
        }
    }
}
