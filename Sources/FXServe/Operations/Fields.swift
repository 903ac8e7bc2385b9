internal import FXMapping
internal import FXSystem

/// The fields of a request body; null counts as absent. What a field holds is checked when it is asked for.
struct Fields: Sendable {
    private var values: [String: JSONValue]
    /// `start`, `size`, `sort` of the query; those of the body win.
    private let query: [String: String]

    /// - Throws: `parameter` unless it is one JSON object.
    init(_ bytes: [UInt8], query: [String: String]) throws(Refusal) {
        guard let text = String(validating: bytes, as: UTF8.self), let document = JSONValue(parsing: text),
            let members = document.members
        else { throw Refusal(.parameter, "the body is not a JSON object") }
        values = [:]
        for member in members where member.value != .null { values[member.key] = member.value }
        self.query = query
    }

    /// Of a form: texts, and `relPath` in both its forms.
    init(_ texts: [String: [String]]) throws(Refusal) {
        values = [:]
        query = [:]
        for (name, all) in texts {
            if name == "relPath" || name == "relpath" {
                values[name] = .array(Fields.components(all).map { .string($0) })
            } else if all.count == 1 {
                values[name] = .string(all[0])
            } else {
                throw Refusal(.parameter, "\(displayed(Array(name.utf8.prefix(40)))): there are several such parts")
            }
        }
    }

    /// From 3.5.0 on one part with commas, before that one part for each component; an empty part is the mapped directory.
    private static func components(_ parts: [String]) -> [String] {
        if parts.count > 1 { return parts }
        guard let only = parts.first, !only.isEmpty else { return [] }
        return only.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    private func value(_ field: ExchangeParameter) -> JSONValue? {
        values[field.rawValue] ?? Parameter.aliases(of: field).lazy.compactMap { values[$0] }.first
    }

    func text(_ field: ExchangeParameter) throws(Refusal) -> String? {
        guard let value = value(field) else { return nil }
        guard let text = value.string else { throw Fields.wrong(field, "has to be a text") }
        return text
    }

    func texts(_ field: ExchangeParameter) throws(Refusal) -> [String]? {
        guard let value = value(field) else { return nil }
        guard let elements = value.elements else { throw Fields.wrong(field, "has to be a list of texts") }
        // A path has at most 4096 bytes.
        guard elements.count <= 2048 else { throw Fields.wrong(field, "has too many elements") }
        var texts: [String] = []
        for element in elements {
            guard let text = element.string else { throw Fields.wrong(field, "has to be a list of texts") }
            texts.append(text)
        }
        return texts
    }

    /// In a form it is a text.
    func flag(_ field: ExchangeParameter) throws(Refusal) -> Bool? {
        switch value(field) {
        case nil: return nil
        case .bool(let flag)?: return flag
        case .string("true")?: return true
        case .string("false")?: return false
        default: throw Fields.wrong(field, "has to be true or false")
        }
    }

    /// - Throws: `parameter` for less than one second; longer than `Desk.longestPrompt` is that.
    func seconds(_ field: ExchangeParameter) throws(Refusal) -> Duration? {
        guard let value = value(field) else { return nil }
        guard let seconds = value.integer, seconds > 0 else {
            throw Fields.wrong(field, "has to be a whole number of seconds")
        }
        return min(.seconds(min(seconds, 86_400)), Desk.longestPrompt)
    }

    /// A path, or its beginning and what follows.
    func localPath(_ field: ExchangeParameter) throws(Refusal) -> String? {
        guard let value = value(field) else { return nil }
        if value.string != nil { return try text(field) }
        let parts = try texts(field) ?? []
        guard let first = parts.first else { return nil }
        return parts.dropFirst().reduce(first) { $0.hasSuffix("/") ? $0 + $1 : $0 + "/" + $1 }
    }

    /// - Throws: `parameter`.
    func page() throws -> Page {
        guard let given = value(.page) else { return try queriedPage() }
        guard given.members != nil else { throw Fields.wrong(.page, "has to be an object") }
        func number(_ key: ExchangeParameter) throws(Refusal) -> Int? {
            switch given[key.rawValue] {
            case nil, .null?: return nil
            case .integer(let number)?: return Int(number)
            default: throw Fields.wrong(key, "has to be a whole number")
            }
        }
        let sort = given["sort"].flatMap { $0 == .null ? nil : $0 }
        if let sort, sort.string == nil { throw Fields.wrong(.sort, "has to be ASC or DESC") }
        return try Page(start: try number(.start), size: try number(.size), sort: sort?.string)
    }

    private func queriedPage() throws -> Page {
        func number(_ key: String, _ field: ExchangeParameter) throws(Refusal) -> Int? {
            guard let text = query[key] else { return nil }
            guard let number = Int(text) else { throw Fields.wrong(field, "has to be a whole number") }
            return number
        }
        return try Page(
            start: try number("start", .start), size: try number("size", .size), sort: query["sort"])
    }

    /// Looks at every field the operation knows, so that a wrong one is refused whatever the others say.
    /// - Throws: `parameter`.
    func check(_ operation: Operation) throws {
        for parameter in operation.parameters {
            switch parameter.kind {
            case .name, .fileName: _ = try text(parameter.field)
            case .path: _ = try texts(parameter.field)
            case .flag: _ = try flag(parameter.field)
            case .seconds: _ = try seconds(parameter.field)
            case .page: _ = try page()
            case .localPath: _ = try localPath(parameter.field)
            case .file: break
            }
        }
    }

    private static func wrong(_ field: ExchangeParameter, _ what: String) -> Refusal {
        Refusal(.parameter, "\(field.rawValue): \(what)")
    }
}

extension Fields {
    func type(_ field: ExchangeParameter = .type) throws -> TypeAddress {
        try TypeAddress(entity: try text(.entity), type: try text(field), as: field)
    }

    func folder(_ field: ExchangeParameter = .relPath) throws -> FolderPath {
        try FolderPath(try texts(field), as: field)
    }

    func file(in type: TypeAddress) throws -> FileAddress {
        try FileAddress(type, relPath: try texts(.relPath), fileName: try text(.fileName))
    }
}
