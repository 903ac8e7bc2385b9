import Foundation
import Testing

@testable import FXSystem

@Suite struct ValueTests {
    static let counts: [(String, UInt64?)] = [
        ("0", 0), ("4096", 4096), ("1b", 1), ("64MiB", 64 << 20), ("500 MB", 500_000_000), ("1.5GiB", 3 << 29),
        ("2K", 2048),
        ("1kB", 1000), ("1_000", 1000), ("1tib", 1 << 40), ("3TB", 3_000_000_000_000), ("0.5k", 512),
        ("18446744073709551615", .max), ("18446744073709551616", nil), ("16777216TiB", nil),
        ("16777215TiB", 16_777_215 << 40),
        ("99999999999999999999999TB", nil), ("8388608.5TiB", nil), ("", nil), ("MiB", nil), (".5k", nil), ("5.k", nil),
        ("1.2.3", nil), ("-1", nil), ("+1", nil), ("1e3", nil), ("0x10", nil), ("1 XB", nil), ("nan", nil),
        ("inf", nil),
        ("٣", nil), ("1PiB", nil),
    ]

    @Test(arguments: counts)
    func aByteCountIsReadAsPeopleWriteItOrNotAtAll(text: String, bytes: UInt64?) {
        #expect(ByteCount(parsing: text)?.rawValue == bytes)
    }

    @Test func byteCountsNeverTrap() {
        #expect(ByteCount(5) - ByteCount(7) == .zero)
        #expect((ByteCount(.max) + ByteCount(2)).rawValue == 1)
        #expect(ByteCount(.max).description == "16.0 EiB")
        #expect(ByteCount(1023).description == "1023 B")
        #expect(ByteCount(1 << 10).description == "1.00 KiB")
        #expect(ByteCount((3 << 29)).description == "1.50 GiB")
        #expect(ByteCount(1030).description == "1.01 KiB")
        var random = SeededGenerator()
        for _ in 0..<20_000 {
            let count = random.next() >> (random.next() % 64)
            #expect(ByteCount(parsing: String(count))?.rawValue == count)
            #expect(!ByteCount(count).description.isEmpty)
        }
    }

    static let durations: [(String, Duration?)] = [
        ("15s", .seconds(15)), ("500ms", .milliseconds(500)), ("2m", .seconds(120)), ("2min", .seconds(120)),
        ("1h", .seconds(3600)),
        ("30d", .seconds(2_592_000)), ("0", .zero), ("7", .seconds(7)), ("1.5s", .milliseconds(1500)),
        ("0.25s", .milliseconds(250)),
        ("", nil), ("s", nil), ("-1s", nil), (".5s", nil), ("5.s", nil), ("1.2.3s", nil), ("1 s", nil), ("1S", nil),
        ("1e3s", nil),
        ("1w", nil), ("inf", nil), ("99999999999999999999d", nil), ("1099511627776s", nil), ("13000000d", nil),
    ]

    @Test(arguments: durations)
    func aDurationIsReadAsPeopleWriteItOrNotAtAll(text: String, duration: Duration?) {
        #expect(parseDuration(text) == duration)
    }

    @Test func jsonTextIsReadBackByAnyParser() throws {
        var random = SeededGenerator()
        for _ in 0..<5000 {
            let scalars = (0..<6).compactMap { _ in
                UnicodeScalar(UInt32(random.next() % [0x20, 0x80, 0x3000, 0x110000][Int(random.next() % 4)]))
            }
            var text = ""
            text.unicodeScalars.append(contentsOf: scalars)
            let value = JSONValue.object([.init(text, .array([.string(text), .integer(.min), .bool(true), .null]))])
            #expect(!value.text.contains("\n"))
            let read = try #require(try JSONSerialization.jsonObject(with: Data(value.text.utf8)) as? [String: [Any]])
            let entry = try #require(read.first)
            #expect(Array(entry.key.unicodeScalars) == scalars)
            #expect((entry.value.first as? String).map { Array($0.unicodeScalars) } == scalars)
            #expect(entry.value[1] as? Int64 == .min)
        }
    }

    @Test func jsonKeepsOrderEscapesControlsAndHasNoInfinity() {
        let value: JSONValue = ["b": 1, "a": "\"\\\n\r\t\u{1}\u{7f}é", "n": nil]
        #expect(value.text == #"{"b":1,"a":"\"\\\n\r\t\u0001\u007fé","n":null}"#)
        #expect(JSONValue.number(.infinity).text == "null")
        #expect(JSONValue.number(.nan).text == "null")
        #expect(JSONValue.number(0.5).text == "0.5")
        #expect(JSONValue.bytes(ByteCount(.max)) == .integer(.max))
        #expect(JSONValue.array([]).text == "[]")
        #expect(JSONValue.object([]).text == "{}")
    }

    static let moments: [(Int64, UInt32, String)] = [
        (0, 0, "1970-01-01T00:00:00.000000Z"), (951_782_400, 5000, "2000-02-29T00:00:00.000005Z"),
        (1_769_903_999, 123_456_789, "2026-01-31T23:59:59.123456Z"),
        (253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999999Z"),
        (-1, 999_999_999, "1969-12-31T23:59:59.999999Z"), (-62_135_596_800, 0, "0001-01-01T00:00:00.000000Z"),
    ]

    @Test(arguments: moments)
    func aTimestampIsWrittenInUTC(seconds: Int64, nanoseconds: UInt32, text: String) {
        #expect(Timestamp(seconds: seconds, nanoseconds: nanoseconds).rfc3339 == text)
    }
}
