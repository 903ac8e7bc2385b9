internal import ArgumentParser
internal import FXMapping
internal import FXSystem

/// What the shell offers for the names of entities and types.
enum AliasCompletion {
    static let entities = CompletionKind.custom { words, _, prefix in
        snapshot(HalfTypedLine(words))?.entities.map(\.name.text).filter { $0.hasPrefix(prefix) } ?? []
    }

    static let types = CompletionKind.custom { words, index, prefix in
        let line = HalfTypedLine(words)
        guard let text = line.positionals(before: index).first, let entity = try? EntityName(text) else { return [] }
        return snapshot(line)?.types(of: entity).map(\.name.text).filter { $0.hasPrefix(prefix) } ?? []
    }

    /// nil when there is nothing to offer, whatever the reason: a shell has no use for an error here.
    private static func snapshot(_ line: HalfTypedLine) -> RegistrySnapshot? {
        let surroundings = Surroundings.current
        guard let path = try? surroundings.stateDirectory(flag: line.value(of: "--state-dir")),
            let directory = try? StateDirectory(opening: path, creating: false),
            let registry = try? TypeRegistry(databasePath: directory.path(of: "mappings.sqlite")),
            let application = try? ApplicationID(
                line.value(of: "--app") ?? surroundings.environment["FXMOUNT_APP"] ?? "local")
        else { return nil }
        return registry.snapshot(of: application)
    }
}

/// A command line somebody is still typing.
struct HalfTypedLine: Sendable, Equatable {
    /// The program first.
    var words: [String]

    init(_ words: [String]) { self.words = words }

    /// The arguments of the subcommand, without options and their values.
    func positionals(before index: Int) -> [String] {
        var found: [String] = []
        var isValue = false
        for word in words.prefix(max(index, 0)) {
            if isValue {
                isValue = false
            } else if word.hasPrefix("-"), word != "-" {
                isValue = HalfTypedLine.optionsWithValue.contains(word)
            } else {
                found.append(word)
            }
        }
        // The program, the command and its subcommand.
        return Array(found.dropFirst(3))
    }

    func value(of option: String) -> String? {
        guard let place = words.firstIndex(of: option), place + 1 < words.count else { return nil }
        return words[place + 1]
    }

    private static let optionsWithValue: Set = [
        "--app", "--state-dir", "--config", "--path", "--timeout", "--policy", "--start", "--size", "--sort", "--name",
    ]
}
