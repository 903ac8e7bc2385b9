// Expat, an XML 1.0 parser that reads what S3 and SOAP services answer.
#pragma once
#include <expat.h>
