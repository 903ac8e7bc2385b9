print("fxmount")
