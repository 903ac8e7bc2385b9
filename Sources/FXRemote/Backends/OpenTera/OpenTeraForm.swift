internal import FXSystem

/// The body of an upload: `multipart/form-data` (RFC 7578) of two parts, as the file service wants them.
///
/// `file_asset` is a plain field whose text is the JSON object itself; `file` has a file name and, on purpose, no
/// length of its own, since the service would believe that one rather than the bytes.
struct OpenTeraForm: Sendable, Equatable {
    let boundary: String
    let prefix: [UInt8]
    let suffix: [UInt8]

    /// - Parameters:
    ///   - key: the `asset_datetime`.
    ///   - digest: of the bytes; it makes a boundary that they cannot contain.
    init(session: Int64, name: String, key: OpenTeraTime, upload: UploadID, digest: SHA256Digest?) {
        let seed = "fxmount " + upload.text + " " + (digest?.text ?? "")
        boundary = "fxmount-" + SHA256Digest(hashing: Array(seed.utf8)).text.prefix(40)
        let asset: JSONValue = [
            "id_session": .integer(session), "asset_name": .string(name), "asset_datetime": .string(key.text),
        ]
        let head =
            "--\(boundary)\r\nContent-Disposition: form-data; name=\"file_asset\"\r\n\r\n\(OpenTeraForm.ascii(asset))\r\n"
            + "--\(boundary)\r\nContent-Disposition: form-data; name=\"file\"; "
            + "filename=\"\(OpenTeraForm.fileName(for: name))\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        prefix = Array(head.utf8)
        suffix = Array("\r\n--\(boundary)--\r\n".utf8)
    }

    var contentType: String { "multipart/form-data; boundary=\(boundary)" }
    var overhead: ByteCount { ByteCount(UInt64(prefix.count + suffix.count)) }

    /// What the form adds to the largest file: a name of 255 bytes, each of which needs six in JSON.
    static let largestOverhead: ByteCount = {
        let name = String(repeating: "\u{1}", count: Name.maximumLength)
        let key = OpenTeraTime(modified: Timestamp(seconds: 0), upload: UploadID("0"))
        return OpenTeraForm(session: .max, name: name, key: key, upload: UploadID("0"), digest: nil).overhead
            + ByteCount(UInt64(longestFileName))
    }()

    /// A name that survives the service's own cleaning (letters, digits, `.`, `-` and `_` of ASCII) and is never empty.
    /// It names the file when somebody downloads it with a browser, and its end tells the media type.
    static func fileName(for name: String) -> String {
        let kept = name.unicodeScalars.map { scalar -> Character in
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || (0x30...0x39).contains(scalar.value))
            return isPlain || scalar == "." || scalar == "-" ? Character(scalar) : "_"
        }
        let text = String(kept.suffix(longestFileName).drop { $0 == "." || $0 == "_" })
        let isName = text.contains { $0 != "." && $0 != "_" && $0 != "-" }
        return isName ? text : "file"
    }

    private static let longestFileName = 128

    /// JSON that does not depend on how the other side reads the bytes of a form field.
    private static func ascii(_ value: JSONValue) -> String {
        var out = ""
        for scalar in value.text.unicodeScalars {
            if scalar.isASCII {
                out.unicodeScalars.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return out
    }
}
