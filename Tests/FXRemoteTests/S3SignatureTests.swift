import FXSystem
import Testing

@testable import FXRemote

/// Signatures against what AWS publishes.
@Suite struct S3SignatureTests {
    /// "Signature Calculations for the Authorization Header", examples of the Amazon S3 API reference.
    private static let secret = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    private static let time = "20130524T000000Z"
    private static let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    struct Example: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var request: SigV4.Request
        var signature: String
    }

    private static func example(
        _ name: String, _ method: String, _ path: String, query: [(name: String, value: String)] = [],
        fields: [(name: String, value: String)] = [], payload: String = empty, signature: String
    ) -> Example {
        let own = [
            ("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", time), ("x-amz-content-sha256", payload),
        ]
        return Example(
            testDescription: name,
            request: SigV4.Request(
                method: method, path: path, query: query, fields: fields + own.map { (name: $0.0, value: $0.1) },
                payload: payload),
            signature: signature)
    }

    static let published = [
        example(
            "GET object with a range", "GET", "/test.txt", fields: [("Range", "bytes=0-9")],
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        example(
            "PUT object", "PUT", "/test%24file.text",
            fields: [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            payload: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        example(
            "GET bucket lifecycle", "GET", "/", query: [("lifecycle", "")],
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        example(
            "GET bucket, list objects", "GET", "/", query: [("prefix", "J"), ("max-keys", "2")],
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ]

    @Test(arguments: published) func `the examples of the S3 reference have the published signatures`(
        example: Example
    ) {
        let scope = SigV4.Scope(date: "20130524", region: "us-east-1")
        let key = SigV4.signingKey(S3SignatureTests.secret, scope: scope)
        let signature = SigV4.signature(example.request, time: S3SignatureTests.time, scope: scope, key: key)
        #expect(signature == example.signature)
    }

    @Test func `the string to sign is as published`() {
        let text = SigV4.stringToSign(
            S3SignatureTests.published[0].request, time: S3SignatureTests.time,
            scope: SigV4.Scope(date: "20130524", region: "us-east-1"))
        #expect(
            text == """
                AWS4-HMAC-SHA256
                20130524T000000Z
                20130524/us-east-1/s3/aws4_request
                7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972
                """)
    }

    /// aws-sig-v4-test-suite: the service is "service", and there is no field with the digest of the payload.
    @Test func `the general test suite has the published signatures`() {
        let scope = SigV4.Scope(date: "20150830", region: "us-east-1", service: "service")
        let key = SigV4.signingKey(Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), scope: scope)
        let fields = [(name: "Host", value: "example.amazonaws.com"), (name: "X-Amz-Date", value: "20150830T123600Z")]
        func signature(
            _ method: String, _ query: [(name: String, value: String)], _ more: [(name: String, value: String)]
        )
            -> String
        {
            SigV4.signature(
                SigV4.Request(
                    method: method, path: "/", query: query, fields: fields + more, payload: S3SignatureTests.empty),
                time: "20150830T123600Z", scope: scope, key: key)
        }
        // get-vanilla, post-vanilla, get-vanilla-query-order-key-case, get-header-value-trim
        #expect(signature("GET", [], []) == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
        #expect(signature("POST", [], []) == "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
        #expect(
            signature("GET", [("Param2", "value2"), ("Param1", "value1")], [])
                == "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")
        #expect(
            signature("GET", [], [("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")])
                == "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736")
    }

    @Test func `an authorization names the key, the scope and the fields, and never the secret`() {
        let scope = SigV4.Scope(date: "20130524", region: "us-east-1")
        let key = SigV4.signingKey(S3SignatureTests.secret, scope: scope)
        let example = S3SignatureTests.published[0]
        let value = SigV4.authorization(
            example.request, time: S3SignatureTests.time, scope: scope, key: key, accessKeyID: "AKIAIOSFODNN7EXAMPLE")
        #expect(
            value == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=\(example.signature)")
        #expect(!value.contains(S3SignatureTests.secret.reveal()))
    }

    @Test func `queries are encoded and sorted by their encoded names`() {
        #expect(
            SigV4.canonicalQuery([("b", "x y"), ("a", "ä/+"), ("uploads", ""), ("a", "1")])
                == "a=%C3%A4%2F%2B&a=1&b=x%20y&uploads=")
    }

    @Test func `times are written and read as the service has them`() throws {
        let time = Timestamp(seconds: 1_369_353_600, nanoseconds: 5)
        #expect(S3Time.basic(time) == "20130524T000000Z")
        #expect(S3Time.exact(time) == "1369353600.000000005")
        #expect(S3Time.parse("2013-05-24T00:00:00.000Z") == Timestamp(seconds: 1_369_353_600))
        #expect(S3Time.parse("2013-05-24T00:00:00.5Z") == Timestamp(seconds: 1_369_353_600, nanoseconds: 500_000_000))
        #expect(S3Time.parse("2013-05-24T00:00:00Z") == Timestamp(seconds: 1_369_353_600))
        for wrong in ["", "2013", "2013-13-01T00:00:00Z", "2013-05-24T25:00:00Z", "x-05-24T00:00:00Z"] {
            #expect(S3Time.parse(wrong) == nil, "\(wrong)")
        }
    }
}
