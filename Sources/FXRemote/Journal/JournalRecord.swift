internal import CChecksum
internal import Foundation
internal import GRDB

/// One record of the log: the statements of a batch as bytes, all of them or none.
///
/// A head of 32 bytes, then the statements. Numbers are little-endian:
///
///     0  "fxjl"
///     4  CRC-32C of all that follows in the record
///     8  identity of the journal, 8 bytes
///    16  sequence number, 8 bytes
///    24  bytes of the statements, 4 bytes
///    28  layout, 4 bytes: 1
///
/// A statement is its kind, the number of its values, and each value behind a byte that says what it is.
struct JournalRecord: Sendable, Equatable {
    /// Of the journal the record belongs to: see `LogPosition`.
    var identity: UInt64
    /// One more than that of the record before.
    var sequence: UInt64
    var statements: [JournalStatement]

    static let headBytes = 32
    private static let magic = Array("fxjl".utf8)
    private static let layout: UInt32 = 1

    private enum Tag: UInt8 {
        case null = 0
        case integer = 1
        case text = 2
        case blob = 3
        case real = 4
    }

    /// What is written to the file.
    var bytes: [UInt8] {
        var bytes = JournalRecord.magic
        bytes.reserveCapacity(JournalRecord.headBytes + 512 + statements.reduce(0) { $0 + $1.roughBytes })
        bytes.append(little: UInt32.zero)
        bytes.append(little: identity)
        bytes.append(little: sequence)
        bytes.append(little: UInt32.zero)
        bytes.append(little: JournalRecord.layout)
        for statement in statements {
            bytes.append(statement.kind.rawValue)
            bytes.append(UInt8(clamping: statement.values.count))
            for value in statement.values { JournalRecord.append(value, to: &bytes) }
        }
        bytes.set(little: UInt32(clamping: bytes.count - JournalRecord.headBytes), at: 24)
        bytes.set(little: JournalRecord.checksum(bytes[8...]), at: 4)
        return bytes
    }

    private static func append(_ value: DatabaseValue, to bytes: inout [UInt8]) {
        switch value.storage {
        case .null: bytes.append(Tag.null.rawValue)
        case .int64(let number):
            bytes.append(Tag.integer.rawValue)
            bytes.append(little: UInt64(bitPattern: number))
        case .double(let number):
            bytes.append(Tag.real.rawValue)
            bytes.append(little: number.bitPattern)
        case .string(let text):
            bytes.append(Tag.text.rawValue)
            bytes.append(little: UInt32(clamping: text.utf8.count))
            bytes.append(contentsOf: text.utf8)
        case .blob(let data):
            bytes.append(Tag.blob.rawValue)
            bytes.append(little: UInt32(clamping: data.count))
            bytes.append(contentsOf: data)
        }
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe fx_crc32c(0, $0.baseAddress, $0.count) }
    }

    /// Bytes of the whole record that begins with this head; nil when none does.
    static func length(_ head: [UInt8]) -> Int? {
        var head = LittleEndianReader(head[...])
        guard head.take(4).map(Array.init) == magic, head.take(20) != nil, let length = head.uint32(),
            head.uint32() == layout
        else { return nil }
        return headBytes + Int(length)
    }

    /// Reads a record.
    /// - Returns: nil when it is not whole: the end of the log.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == JournalRecord.length(bytes) else { return nil }
        var rest = LittleEndianReader(bytes[4...])
        guard rest.uint32() == JournalRecord.checksum(bytes[8...]), let identity = rest.uint64(),
            let sequence = rest.uint64(), rest.take(8) != nil, let statements = JournalRecord.statements(rest.rest)
        else { return nil }
        self.init(identity: identity, sequence: sequence, statements: statements)
    }

    init(identity: UInt64, sequence: UInt64, statements: [JournalStatement]) {
        self.identity = identity
        self.sequence = sequence
        self.statements = statements
    }

    private static func statements(_ body: ArraySlice<UInt8>) -> [JournalStatement]? {
        var reader = LittleEndianReader(body)
        var statements: [JournalStatement] = []
        while !reader.isAtEnd {
            guard let kind = reader.uint8().flatMap(JournalStatement.Kind.init(rawValue:)), let count = reader.uint8()
            else { return nil }
            var values: [DatabaseValue] = []
            for _ in 0..<count {
                guard let value = value(&reader) else { return nil }
                values.append(value)
            }
            statements.append(JournalStatement(kind: kind, values: values))
        }
        return statements
    }

    private static func value(_ reader: inout LittleEndianReader) -> DatabaseValue? {
        switch reader.uint8().flatMap(Tag.init(rawValue:)) {
        case nil: nil
        case .null: .null
        case .integer: reader.uint64().map { Int64(bitPattern: $0).databaseValue }
        case .real: reader.uint64().map { Double(bitPattern: $0).databaseValue }
        case .text:
            reader.uint32().flatMap { reader.take(Int($0)) }.map { String(decoding: $0, as: UTF8.self).databaseValue }
        case .blob: reader.uint32().flatMap { reader.take(Int($0)) }.map { Data($0).databaseValue }
        }
    }
}

extension JournalStatement {
    /// Room for its values, so that the bytes of files are moved once.
    fileprivate var roughBytes: Int {
        values.reduce(2) { sum, value in
            switch value.storage {
            case .blob(let data): sum + 5 + data.count
            case .string(let text): sum + 5 + text.utf8.count
            case .null, .int64, .double: sum + 9
            }
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append<Number: FixedWidthInteger>(little number: Number) {
        for shift in stride(from: 0, to: Number.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    fileprivate mutating func set(little number: UInt32, at place: Int) {
        for index in 0..<4 { self[place + index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
    }
}

/// Takes numbers and pieces from the front of some bytes; nil for what is not there.
private struct LittleEndianReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        if count > rest.count { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func uint8() -> UInt8? { rest.popFirst() }
    mutating func uint32() -> UInt32? { take(4).map { UInt32(truncatingIfNeeded: LittleEndianReader.number($0)) } }
    mutating func uint64() -> UInt64? { take(8).map(LittleEndianReader.number) }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
